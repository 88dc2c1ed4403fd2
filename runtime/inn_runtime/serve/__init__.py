"""`inn serve`: a page for a browser, to try a bundle's sizes on pictures. Needs ``innlite[serve]``."""
