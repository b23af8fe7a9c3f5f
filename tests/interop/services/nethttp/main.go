// A protected API with net/http and lestrrat-go/jwx.
//
// ISSUER=http://127.0.0.1:9000 AUDIENCE=ratchet ORIGIN=http://localhost:5173 PORT=8080 go run .
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

type verifier struct {
	cache                 *jwk.Cache
	url, issuer, audience string
}

var errNoKeys = errors.New("the issuer's keys cannot be had")

func newVerifier(ctx context.Context, issuer, audience string) (*verifier, error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	url := issuer + "/.well-known/jwks.json"
	// Fetched in the background, and again as often as the issuer says.
	if err := cache.Register(ctx, url, jwk.WithWaitReady(false)); err != nil {
		return nil, err
	}
	return &verifier{cache, url, issuer, audience}, nil
}

func (v *verifier) verify(ctx context.Context, token []byte) (jwt.Token, error) {
	keys, err := v.cache.Lookup(ctx, v.url)
	if err != nil {
		return nil, errNoKeys
	}
	message, err := jws.Parse(token, jws.WithCompact())
	if err != nil {
		return nil, err
	}
	if typ, _ := message.Signatures()[0].ProtectedHeaders().Type(); typ != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	parsed, err := jwt.Parse(token,
		jwt.WithKeySet(keys),
		jwt.WithIssuer(v.issuer),
		jwt.WithAudience(v.audience),
		jwt.WithRequiredClaim("sub"),
		jwt.WithRequiredClaim("exp"),
		jwt.WithRequiredClaim("sid"),
	)
	if err == nil && parsed.Has("cnf") {
		return nil, errors.New("bound to a key, whose proof is not checked here")
	}
	return parsed, err
}

// user is what an access token says.
type user struct {
	Sub   string   `json:"sub"`
	Sid   string   `json:"sid"`
	Roles []string `json:"roles"`
	last  authentication
}

// authentication is when and how a user was authenticated last.
type authentication struct {
	Time int64    `json:"auth_time"`
	Amr  []string `json:"amr"`
}

// protect calls next with the user of a valid access token. Without a role every user may pass.
func (v *verifier) protect(role string, next func(http.ResponseWriter, *http.Request, user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !isBearer {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "an access token is needed", http.StatusUnauthorized)
			return
		}
		parsed, err := v.verify(r.Context(), []byte(token))
		if errors.Is(err, errNoKeys) {
			// Without the keys there is no verdict: a 401 would sign the user out.
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "the access token is not valid", http.StatusUnauthorized)
			return
		}
		claims, _ := json.Marshal(parsed)
		var u user
		if err := errors.Join(json.Unmarshal(claims, &u), json.Unmarshal(claims, &u.last)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if role != "" && !slices.Contains(u.Roles, role) {
			http.Error(w, "the role "+role+" is needed", http.StatusForbidden)
			return
		}
		next(w, r, u)
	}
}

// recently calls next with a user who was authenticated by one of these methods, and not longer ago (RFC 9470).
func recently(maxAge time.Duration, methods []string, next func(http.ResponseWriter, *http.Request, user)) func(http.ResponseWriter, *http.Request, user) {
	return func(w http.ResponseWriter, r *http.Request, u user) {
		isRecent := time.Since(time.Unix(u.last.Time, 0)) <= maxAge
		isOne := func(method string) bool { return slices.Contains(methods, method) }
		if !isRecent || !slices.ContainsFunc(u.last.Amr, isOne) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(
				`Bearer error="insufficient_user_authentication", max_age="%d", amr_values="%s"`,
				int(maxAge.Seconds()), strings.Join(methods, " ")))
			http.Error(w, "authenticate again", http.StatusUnauthorized)
			return
		}
		next(w, r, u)
	}
}

// cors lets the front end send its access token, and read why it was refused.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Headers", "Authorization")
			w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, _ *http.Request, u user) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(u); err != nil {
		log.Print(err)
	}
}

func main() {
	v, err := newVerifier(context.Background(), os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /whoami", v.protect("", answer))
	routes.HandleFunc("GET /admin", v.protect("admin", answer))
	// A second factor or a passkey, within the last five minutes.
	routes.HandleFunc("GET /export", v.protect("", recently(5*time.Minute, []string{"otp", "hwk"}, answer)))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), cors(os.Getenv("ORIGIN"), routes)))
}
