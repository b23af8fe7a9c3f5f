// The interface of a client.
export {};
