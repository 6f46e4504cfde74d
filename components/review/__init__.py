"""What a change does to a stack: ``python -m components.review --stack prod --base main``."""
