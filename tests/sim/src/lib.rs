//! Empty: the simulator is the test beside it.
