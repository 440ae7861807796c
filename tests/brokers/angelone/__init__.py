"""Angel One behind the port: tables, samples, log-in and whole calls over loopback."""
