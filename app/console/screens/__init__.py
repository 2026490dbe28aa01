"""The screens: the desk, the review that alone takes a verdict, the help.

All but the desk are imported when they are opened, not before the first paint."""
