// Verifies Ratchet's access tokens with lestrrat-go/jwx: verify ISSUER AUDIENCE < tokens
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func verify(token []byte, keys jwk.Set, issuer, audience string) (jwt.Token, error) {
	message, err := jws.Parse(token, jws.WithCompact())
	if err != nil {
		return nil, err
	}
	if typ, _ := message.Signatures()[0].ProtectedHeaders().Type(); typ != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	parsed, err := jwt.Parse(token,
		jwt.WithKeySet(keys),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithRequiredClaim("sub"),
		jwt.WithRequiredClaim("exp"),
		jwt.WithRequiredClaim("sid"),
	)
	if err == nil && parsed.Has("cnf") {
		return nil, errors.New("bound to a key, whose proof is not checked here")
	}
	return parsed, err
}

func main() {
	issuer, audience := os.Args[1], os.Args[2]
	ctx := context.Background()
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		log.Fatal(err)
	}
	url := issuer + "/.well-known/jwks.json"
	if err := cache.Register(ctx, url); err != nil {
		log.Fatal(err)
	}
	keys, err := cache.CachedSet(url)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		token, err := verify(lines.Bytes(), keys, issuer, audience)
		if err != nil {
			fmt.Println("refused", "error")
			continue
		}
		subject, _ := token.Subject()
		fmt.Println("ok", subject)
	}
}
