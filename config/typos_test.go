package config_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/config"
)

// Passwords of odd characters with one or two typing mistakes around them: of
// what YAML makes of that, keys, aliases, tails behind a comma, no message shows
// a part. (A value that has become another option's is that option's.)
func TestSecretsSurviveTypos(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Chdir(t.TempDir())
	forms := []string{
		"streams: {e: {kafka: {brokers: [k:1], topics: [t], group: g, sasl: {mechanism: PLAIN, username: u,<>, zebra: 1}}, format: json}}\n",
		"streams: {e: {kafka: {brokers: [k:1], topics: [t], group: g, sasl: {<>}}, format: json}}\n",
		"connections:\n  a:\n    mariadb:\n      address: [x]\n     <>\n      zebra: 1\n",
		"connections:\n  a: {mariadb: {address: [x],<>}}\n",
	}
	const odd = " ,:;*&!{}[]\"'#%@|>=?~-\\/$\t\n"
	for range 1500 {
		joint := string(odd[rng.IntN(len(odd))])
		if rng.IntN(3) == 0 {
			joint += string(odd[rng.IntN(len(odd))])
		}
		text := " password: hunter2" + joint + "quixotic"
		switch rng.IntN(4) {
		case 0:
			text = " password: " + joint + "hunter2quixotic"
		case 1:
			text = ` password: "hunter2` + joint + `quixotic"`
		}
		for range rng.IntN(3) {
			if at := rng.IntN(len(text)); rng.IntN(2) == 0 {
				text = text[:at] + text[at+1:]
			} else {
				text = text[:at] + string(odd[rng.IntN(len(odd))]) + text[at:]
			}
		}
		whole := strings.Replace(forms[rng.IntN(len(forms))], "<>", text, 1)
		if err := os.WriteFile("a.yaml", []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load([]string{"a.yaml"}, specs(), environment)
		var ps config.Problems
		if !errors.As(err, &ps) {
			ps = c.Warnings
		}
		var b strings.Builder
		if err := ps.Write(&b, ""); err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"hunter", "unter2", "quix", "xotic"} {
			if strings.Contains(b.String(), part) {
				t.Errorf("shown: %s\nof\n%s\n", b.String(), whole)
				break
			}
		}
	}
}
