"""Alembic's way in: runs the steps on the connection that `app.data.migrate` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None, transactional_ddl=True, render_as_batch=True)
context.run_migrations()
