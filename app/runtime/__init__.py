"""What drives a desk: the steps of a session, the replay that calls them, the host a console starts.

No rule of trading lives here and no screen; a step only carries facts between the agents and the database."""
