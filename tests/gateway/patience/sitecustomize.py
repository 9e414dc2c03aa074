"""For a gateway that is to ask the board though this machine is busy: it waits longer, and tries again sooner."""

import trunkline.store.board
import trunkline.store.breaker

trunkline.store.board.DEADLINE_S = 20.0  # type: ignore[misc]
trunkline.store.breaker.OPEN_S = 0.2  # type: ignore[misc]
