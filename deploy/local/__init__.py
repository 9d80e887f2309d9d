"""The whole product on one machine: private servers, the services, the simulated switch."""
