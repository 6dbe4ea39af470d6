"""Where everything comes together. Nothing below imports this, and nobody else imports a driver."""
