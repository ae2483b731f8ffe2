"""Generated from the gRPC contract by regenerate.py; do not edit."""
