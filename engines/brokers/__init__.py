"""One module or folder for each broker behind `ports.Broker`; paper is one of them."""
