"""The console, held to what it promises the operator."""
