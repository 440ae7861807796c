"""What tests of several rooms share: a small HTTP client, free ports, the real server as a child process."""
