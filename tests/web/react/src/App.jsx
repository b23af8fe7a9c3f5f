// An application that signs in with a cookie, stays signed in over reloads and tabs, and calls a
// protected API.

import { createClient } from 'ratchet-client';
import { useEffect, useState, useSyncExternalStore } from 'react';

/** Where the token service answers, and an API that verifies its tokens. */
const { VITE_RATCHET = 'http://localhost:9000', VITE_API = 'http://localhost:8080' } = import.meta.env;

// One for the whole application. Only these origins ever see the access token.
const client = createClient({ baseUrl: VITE_RATCHET, origins: [new URL(VITE_API).origin] });

/** The session: `undefined` until it is known, `null` if nobody is signed in. */
function useSession() {
  const [isKnown, setKnown] = useState(false);
  const session = useSyncExternalStore(
    (changed) => client.onSession(changed),
    () => client.session,
  );
  useEffect(() => {
    // A reload, or a second tab: the browser still has the cookie.
    client.resume().catch(() => {}).finally(() => setKnown(true));
  }, []);
  return isKnown || session ? session : undefined;
}

export function App() {
  const session = useSession();
  if (session === undefined) return <p>One moment …</p>;
  return session ? <Account /> : <SignIn />;
}

function SignIn() {
  const [error, setError] = useState();

  async function signIn(event) {
    event.preventDefault();
    const { name, password } = Object.fromEntries(new FormData(event.currentTarget));
    setError(undefined);
    await client.signIn({ name, password }).catch(setError);
  }

  return (
    <form onSubmit={signIn}>
      <h1>Sign in</h1>
      <label>Name <input name="name" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Sign in</button>
      {error && <p role="alert">{error.message}</p>}
    </form>
  );
}

function Account() {
  const [user, setUser] = useState();

  useEffect(() => {
    // Adds the access token, and refreshes it if it has expired.
    client.fetch(`${VITE_API}/whoami`).then((response) => response.json()).then(setUser, () => setUser(null));
  }, []);

  return (
    <main>
      <h1>Welcome</h1>
      {user && <p>The API knows you as <code>{user.sub}</code>.</p>}
      {user === null && <p role="alert">The API cannot be reached.</p>}
      <button onClick={() => client.signOut()}>Sign out</button>
    </main>
  );
}
