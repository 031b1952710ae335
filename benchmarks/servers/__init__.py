"""The other servers, each in an environment of its own. `running` starts them as scripts."""
