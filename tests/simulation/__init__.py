"""The real engine on stores in memory, in virtual time, with faults at every step, all from one seed."""
