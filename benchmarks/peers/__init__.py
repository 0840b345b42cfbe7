"""``python -m benchmarks.peers``: the same rows on other SCIM servers, in the same run as ours."""
