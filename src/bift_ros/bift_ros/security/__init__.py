"""DDS security: who may say what on which bus, in certificates and signed permissions."""
