"""The run folder, and the order of things: what each command does, room after room."""
