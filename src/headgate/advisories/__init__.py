"""What is known of vulnerabilities: feeds, identities, matching, curation."""
