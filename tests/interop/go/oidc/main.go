// Finds the keys by discovery and verifies Ratchet's access tokens with coreos/go-oidc:
// oidc ISSUER AUDIENCE < tokens
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
)

func main() {
	issuer, audience := os.Args[1], os.Args[2]
	ctx := context.Background()
	// Fails unless the document names this issuer, and takes the algorithms from it.
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		log.Fatal(err)
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience})
	tokens := bufio.NewScanner(os.Stdin)
	tokens.Buffer(nil, 1<<20)
	for tokens.Scan() {
		token, err := verifier.Verify(ctx, tokens.Text())
		if err != nil {
			fmt.Println("refused", err)
			continue
		}
		var bound struct {
			Confirmation any `json:"cnf"`
		}
		if err := token.Claims(&bound); err != nil || bound.Confirmation != nil {
			fmt.Println("refused", "bound to a key, whose proof is not checked here")
			continue
		}
		fmt.Println("ok", token.Subject)
	}
}
