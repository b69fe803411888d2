"""From a method and a view to a run, whichever way its fit is started."""
