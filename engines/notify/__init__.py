"""The way of a message out of the house: from rows that wait in the outbox to Discord, Telegram and mail.

Nothing here decides what is told or to whom, and nothing of the order path ever waits for it.
"""
