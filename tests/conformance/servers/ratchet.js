export default { id: 'ratchet', rows: [] };
