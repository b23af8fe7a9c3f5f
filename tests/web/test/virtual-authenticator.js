// Chromium's virtual authenticator: the part of a device that keeps passkeys, and the finger on it.

const DEVICE = {
  protocol: 'ctap2',
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  // Nobody touches it before a test says so: it would choose a suggestion at once.
  automaticPresenceSimulation: false,
};

/** The authenticator of one tab. `options` change what it can do. */
export class Authenticator {
  #session;
  #id;

  static async of(page, options) {
    const one = new Authenticator();
    one.#session = await page.context().newCDPSession(page);
    await one.#session.send('WebAuthn.enable');
    const { authenticatorId } = await one.#session.send('WebAuthn.addVirtualAuthenticator', {
      options: { ...DEVICE, ...options },
    });
    one.#id = authenticatorId;
    return one;
  }

  /** From now on, somebody touches it when it asks for that, or nobody does. */
  touched = (enabled = true) => this.#send('WebAuthn.setAutomaticPresenceSimulation', { enabled });

  /** From now on, it makes sure who touches it, or it cannot. */
  verifies = (isUserVerified) => this.#send('WebAuthn.setUserVerified', { isUserVerified });

  async credentials() {
    return (await this.#send('WebAuthn.getCredentials')).credentials;
  }

  /** Takes over a passkey: one that is copied to another device, or one that is put back as it was. */
  async put(credential, changes = {}) {
    const { credentialId } = credential;
    const known = (await this.credentials()).some((one) => one.credentialId === credentialId);
    if (known) await this.#send('WebAuthn.removeCredential', { credentialId });
    await this.#send('WebAuthn.addCredential', { credential: { ...credential, ...changes } });
  }

  #send(method, parameters) {
    return this.#session.send(method, { authenticatorId: this.#id, ...parameters });
  }
}
