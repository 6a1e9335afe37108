"""Who people are and what they did: credentials, users, projects, audit; knows no HTTP."""
