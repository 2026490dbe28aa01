"""What people start: commands, settings, wiring, the console and the runtime.

The only room that knows all the others and hands them their parts; nothing below imports it."""
