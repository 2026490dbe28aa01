"""How a process that stays connects: a network that is cut is noticed in seconds, not in two hours."""

from __future__ import annotations

# libpq's side: both ends find out within about ten seconds.
KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# The server's side, as options of a session.
SERVER_KEEPALIVE = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c client_connection_check_interval=2s -c idle_session_timeout=0"
)
# A step may think for as long as its slot allows: what ends a transaction that nobody will go on with is the
# rescue, not a timer.
PATIENT = f"{SERVER_KEEPALIVE} -c idle_in_transaction_session_timeout=0"
