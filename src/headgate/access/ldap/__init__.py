"""People of LDAP directories: searched for, signed in, and followed when they come, change and leave."""
