"""What a server is given: containers, the install script, the page that tells how."""
