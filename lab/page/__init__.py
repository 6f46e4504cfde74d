"""The demo's page: captured calls in a browser, as they arrive. Plain files, served on loopback."""
