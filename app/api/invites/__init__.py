"""The invites resource: invitations into the workspace, and what an owner passes on where no mail is sent. Owners alone come here."""
