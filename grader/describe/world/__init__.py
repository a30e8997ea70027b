"""What a submission meets when it runs: cells, old names, served data, stand-ins, seeds."""
