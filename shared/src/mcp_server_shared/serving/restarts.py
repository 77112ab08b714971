"""How long to wait until what has ended is started again: longer each time, for as long as its runs stay short."""

from dataclasses import dataclass


@dataclass
class Restarts:
    """The runs of one thing that is to run all the time, or of several that fail for the same reasons.

    Attributes:
        first_s: the wait after one short run; it doubles with each that follows.
        longest_s: it never gets longer than that.
        good_run_s: a run of so many seconds is none of the short ones; after it everything begins anew, without a wait.
        short_runs: how many there were in a row.
    """

    first_s: float
    longest_s: float
    good_run_s: float
    short_runs: int = 0
    _wait_s: float = 0.0

    def wait_after(self, lived_s: float) -> float:
        """Return how many seconds to wait after a run that took so long."""
        if lived_s >= self.good_run_s:
            self.short_runs, self._wait_s = 0, 0.0
        else:
            self.short_runs += 1
            self._wait_s = min(self.longest_s, self._wait_s * 2 or self.first_s)
        return self._wait_s
