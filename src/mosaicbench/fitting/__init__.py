"""From a method and a split to a run, whichever way its fit is started."""
