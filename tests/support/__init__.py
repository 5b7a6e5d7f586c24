"""What tests share: a clock, fakes of what the services talk to, clients and servers."""
