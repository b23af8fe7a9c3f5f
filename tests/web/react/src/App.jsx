// An application that signs in with a cookie, stays signed in over reloads and tabs, and calls a
// protected API.

import { createClient } from '@ratchet-auth/client';
import { useSession } from '@ratchet-auth/client/react';
import { useEffect, useState } from 'react';

/** The token service, and an API that verifies its tokens. */
const { VITE_RATCHET = 'http://localhost:9000', VITE_API = 'http://localhost:8080' } = import.meta.env;

// One for the whole application. Only these origins ever receive the access token.
const client = createClient({ baseUrl: VITE_RATCHET, origins: [new URL(VITE_API).origin] });

export default function App() {
  // After a reload, or in a second tab, the browser still has the cookie.
  const { status } = useSession(client);
  if (status === 'unknown') return <p>One moment …</p>;
  return status === 'signed_in' ? <Account /> : <SignIn />;
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
