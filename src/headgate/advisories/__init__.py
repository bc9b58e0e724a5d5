"""What is known of vulnerabilities: feeds, matching, curation."""
