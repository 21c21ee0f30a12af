"""A broker inside a Python program or test, and the suites that engines must pass.

with Broker() as broker:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
"""

from datacore.testing.broker import Broker, BrokerError
from datacore.testing.broker_process import BrokerProcess

__all__ = ["Broker", "BrokerError", "BrokerProcess"]
