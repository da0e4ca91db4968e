package decode

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// RegistryOptions say where a schema registry is, with Confluent's API.
type RegistryOptions struct {
	URL      string // http or https, without user name and password
	Username string
	Password func() string // asked for each request, so that it may change; nil: none
	TLS      *tls.Config
	Timeout  time.Duration // of one request; 10 s if zero
	MaxBody  int64         // bytes of one answer; 4 MiB if zero
}

// Registry is a client of a schema registry. It may be shared.
type Registry struct {
	base    string // without a slash at its end
	options RegistryOptions
	client  *http.Client
}

// NewRegistry checks the options. It does not connect.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil:
		// The parser's error holds the text, in which a password may be.
		return nil, errors.New("registry: not a valid URL")
	case base.User != nil:
		return nil, errors.New("registry: user name and password do not belong in the URL")
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, fmt.Errorf("registry: %s is not an http or https URL", base)
	case base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("registry: the URL has a query or a fragment")
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 4 << 20
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = o.TLS
	t.MaxConnsPerHost = 8
	return &Registry{base: strings.TrimRight(base.String(), "/"), options: o, client: &http.Client{Transport: t, CheckRedirect: sameHost}}, nil
}

// Close gives up idle connections.
func (r *Registry) Close() { r.client.CloseIdleConnections() }

// sameHost follows a redirect within a server only: credentials and questions
// are for the registry that was configured.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return errors.New("a redirect to another server is not followed")
	}
	if len(via) > 3 {
		return errors.New("too many redirects")
	}
	return nil
}

// RegistryError is an answer that did not come or was not of use: the registry
// is away, or a subject is not registered yet. It may pass by itself.
type RegistryError struct{ Err error }

func (e *RegistryError) Error() string { return "registry: " + e.Err.Error() }

// Unwrap is the cause.
func (e *RegistryError) Unwrap() error { return e.Err }

// errNotFound is the registry's own answer that there is no such schema id.
var errNotFound = errors.New("the registry does not know the schema id")

// Confluent's error code for an unknown schema id. Only it says that: a 404
// without it may come from a proxy, or from a wrong URL.
const codeNoSchema = 40403

// found is a schema as the registry stores it.
type found struct {
	ID         uint32      `json:"id"`
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"` // empty for Avro
	References []reference `json:"references"`
}

// reference names another schema by where it is registered.
type reference struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// byID is errNotFound for an id that the registry does not have; any other
// error may pass.
func (r *Registry) byID(ctx context.Context, id uint32) (found, error) {
	f, err := r.get(ctx, "schemas", "ids", strconv.FormatUint(uint64(id), 10))
	f.ID = id
	return f, err
}

func (r *Registry) latest(ctx context.Context, subject string) (found, error) {
	return r.get(ctx, "subjects", subject, "versions", "latest")
}

func (r *Registry) version(ctx context.Context, ref reference) (found, error) {
	return r.get(ctx, "subjects", ref.Subject, "versions", strconv.Itoa(ref.Version))
}

// get asks, and marks every error as one of the registry's.
func (r *Registry) get(ctx context.Context, path ...string) (found, error) {
	f, err := r.ask(ctx, path...)
	if err != nil {
		return f, &RegistryError{err}
	}
	return f, nil
}

func (r *Registry) ask(ctx context.Context, path ...string) (found, error) {
	var f found
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/"+strings.Join(path, "/"), nil)
	if err != nil {
		return f, err
	}
	req.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	if r.options.Username != "" || r.options.Password != nil {
		password := ""
		if r.options.Password != nil {
			password = r.options.Password()
		}
		req.SetBasicAuth(r.options.Username, password)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return f, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.options.MaxBody+1))
	if err != nil {
		return f, fmt.Errorf("%s: %w", req.URL.Path, err)
	}
	if int64(len(body)) > r.options.MaxBody {
		return f, fmt.Errorf("%s: an answer of more than %d bytes", req.URL.Path, r.options.MaxBody)
	}
	if err := answer(resp.StatusCode, body, &f, req); err != nil {
		return f, fmt.Errorf("%s: %w", req.URL.Path, err)
	}
	return f, nil
}

// answer reads an answer, or the error that it reports. An error that repeats
// what we have sent to prove who we are is not passed on.
func answer(status int, body []byte, f *found, req *http.Request) error {
	if status != http.StatusOK {
		var e struct {
			Code    int    `json:"error_code"`
			Message string `json:"message"`
		}
		_ = json.Unmarshal(body, &e) // a proxy's page is no JSON: then the status must do
		if status == http.StatusNotFound && e.Code == codeNoSchema {
			return errNotFound
		}
		if repeatsSecret(e.Message, req) {
			return fmt.Errorf("status %d, code %d, with a message that repeats the password", status, e.Code)
		}
		if e.Code != 0 {
			return fmt.Errorf("status %d, code %d: %.200q", status, e.Code, e.Message)
		}
		return fmt.Errorf("status %d", status)
	}
	if err := json.Unmarshal(body, f); err != nil {
		return errors.New("an answer that is not JSON")
	}
	if f.Schema == "" {
		return errors.New("an answer without a schema")
	}
	return nil
}

func repeatsSecret(message string, req *http.Request) bool {
	_, password, ok := req.BasicAuth()
	if !ok || password == "" {
		return false
	}
	_, encoded, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	for _, form := range []string{password, url.QueryEscape(password), encoded, base64.StdEncoding.EncodeToString([]byte(password))} {
		if strings.Contains(strings.ToLower(message), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

// maxReferences bounds the schemas that one schema may need.
const maxReferences = 100

// resolve fetches the schemas that f refers to, dependencies first. Only the
// registry's own references are followed, by subject and version.
func (r *Registry) resolve(ctx context.Context, f found) ([][]byte, error) {
	var texts [][]byte
	seen := map[reference]bool{}
	var visit func(refs []reference) error
	visit = func(refs []reference) error {
		for _, ref := range refs {
			if seen[ref] {
				continue
			}
			if seen[ref] = true; len(seen) > maxReferences {
				return fmt.Errorf("registry: more than %d references from one schema", maxReferences)
			}
			g, err := r.version(ctx, ref)
			if err != nil {
				return err
			}
			if err := visit(g.References); err != nil {
				return err
			}
			texts = append(texts, []byte(g.Schema))
		}
		return nil
	}
	return texts, visit(f.References)
}
