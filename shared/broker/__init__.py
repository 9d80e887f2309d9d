"""RabbitMQ: one connection in one thread, confirmed publishing, consumers that ack last."""
