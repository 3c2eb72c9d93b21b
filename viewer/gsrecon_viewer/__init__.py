"""The viewer: a scene in the browser, to look at, to edit and to take away; a client of gsrecon."""
