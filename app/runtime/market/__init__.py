"""The market of a desk that trades the present: what each slot asks the vendor, and what is kept of it."""
