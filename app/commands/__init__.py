"""What the commands do, one file for each subject; app/cli.py only declares their words and options.

Commands print; nothing below them does."""
