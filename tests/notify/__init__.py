"""Messages on their way out: the outbox, the dispatcher and its senders, against doubles that are as strict as the real ones."""
