"""The workspace resource: what holds for everybody here. Everybody reads it, an owner changes it."""
