"""What every broker must do, in one class, and the venues that must pass it."""
