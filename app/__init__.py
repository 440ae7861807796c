"""What people and programs talk to: pages, the JSON API, sign-in and the data service."""
